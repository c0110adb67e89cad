package shop.inventory;

import javax.sql.DataSource;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Profile;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;

/** Spring Boot makes no transaction manager for the database where there is one for Kafka. */
@Configuration
@Profile("inventory")
class Database {

    static final String TRANSACTIONS = "databaseTransactions";

    @Bean(TRANSACTIONS)
    DataSourceTransactionManager databaseTransactions(DataSource database) {
        return new DataSourceTransactionManager(database);
    }
}
